"""Tables of mixed columns, for the command line: read from files, made numbers for a network; predictions made words.

`source` and `dialect` know what a file looks like, `csv_file` and `parquet` read it into the columns of `columns`,
`choice` decides what each column is, `features`, `targets` and `encoding` turn columns into arrays and back. Nothing
here trains; what an encoding has learned is a dict of JSON values, which a network carries as its metadata.
"""
