"""In which order a patient best does what was ordered: the hospital's rules, the queues, the plan and its reasons."""
