"""A hospital day on paper: what an order of examinations is worth to everybody, before anybody is sent anywhere."""
