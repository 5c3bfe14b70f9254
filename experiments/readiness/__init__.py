"""May auto-promotion be switched on? The progressive-delivery guide's checklist, each item answered from evidence."""
