"""The service's processes: started, watched, replaced, and the connections they hold."""
