"""The peers of the PBX: who is registered where, of both SIP drivers, and whether they answer."""
