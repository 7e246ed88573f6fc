"""The steps of the flow, pure: messages in, messages and changes out. No Faust, no clock."""
