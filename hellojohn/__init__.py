"""Sign in to HelloJohn, stay signed in, and know when it is over."""
