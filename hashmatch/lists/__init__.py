"""Hash lists: the list of record, its entries, and the readers of the formats that lists arrive in."""
