"""Maps of a hospital: read from files as they are, mended, looked over, drawn, and turned into ways to walk."""
