"""What the PBX looks like now: channels kept from AMI events, and the views that actions read."""
