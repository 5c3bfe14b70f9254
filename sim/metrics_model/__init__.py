"""Which series a service has, by the habits of the tools that count for it, and what they count."""
