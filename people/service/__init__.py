"""Use cases of people: hospitals and their staff, who a patient is, who is logged in, and who may see whom."""
