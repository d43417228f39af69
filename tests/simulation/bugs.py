BUGS = {}


def plant(name):
    pass
