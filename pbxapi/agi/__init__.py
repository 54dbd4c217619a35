"""FastAGI: the dialplan comes here for what a call carries that must not travel through AMI."""
