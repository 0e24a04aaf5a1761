"""Reports from a call log: figures per queue, agent and interval; tables and files.

Needs the extra ``calllog``; workbooks, Parquet and data frames need the extra ``reports``.
"""
