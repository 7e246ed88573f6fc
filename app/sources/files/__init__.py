"""Opening inputs and cutting them into chunks of whole lines."""
