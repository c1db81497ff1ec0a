"""What the program tells its operators: logs, and text made safe to show."""
