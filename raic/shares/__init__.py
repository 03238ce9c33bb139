"""What a share is: its objects, its index entry, its lease."""
