"""What people read when they meet the hospital that exists to be rehearsed with."""

NAME = "演练医院"
