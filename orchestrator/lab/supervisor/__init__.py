"""Between the cloud and the machines of a lab: makes one agree with the other, and lets neither know the other.

port            what is asked of each side
work            what a machine needs so that it agrees with its instance; pure
loop            looks, and has it done
real_machines   the port over `orchestrator.lab.machines`; tests bring machines of their own
"""
