"""What the panes are made of: line-API streams and tables, the matrix, header and notices."""
