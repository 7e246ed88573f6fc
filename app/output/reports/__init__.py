"""A report, a small table with its head and its definitions, on the screen or as a file: .csv, .tsv, .json, .parquet, .xlsx, .svg, .html."""
