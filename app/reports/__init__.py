"""Reports over log files: hits as tables, counted by what a question names, in the processes that read them."""
