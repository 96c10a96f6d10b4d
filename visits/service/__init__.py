"""Use cases of visits: encounters open and end them, orders are their steps, and the HIS is told what was decided."""
