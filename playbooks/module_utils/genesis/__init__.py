"""What our Ansible modules do on a host. Standard library only (Python 3.11): all of it travels with each module run."""
