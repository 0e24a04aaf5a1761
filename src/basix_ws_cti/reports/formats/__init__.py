"""File formats of reports; each writes a ``Table``.

- ``csv_file``: CSV for programs.
- ``json_file``: JSON for programs.
- ``xlsx_file``: workbook for Excel; loads XlsxWriter when it is used.
- ``parquet_file``: Parquet for data tools; loads Polars when it is used.
- ``values``: times and durations as JSON and CSV have them.
"""
