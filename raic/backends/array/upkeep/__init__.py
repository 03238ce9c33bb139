"""The background work of an array: repairing, scrubbing, moving fragments.

What is done here can end at any moment: whatever was begun is found again in the ledger, or by
listing the members.
"""
