cimport cython

@cython.locals(use=tuple, before=tuple, uses=list, found=dict)
cpdef dict by_key(list pending)

@cython.locals(use=tuple, found=list, moment=cython.longlong)
cpdef list noted(list uses)

@cython.locals(first=cython.longlong, last=cython.longlong, moment=cython.longlong, found=cython.bint)
cpdef tuple accepted_span(list uses)

@cython.locals(use=tuple, found=list, slot=cython.longlong)
cpdef list slots_of(list uses)

@cython.locals(uses=list)
cpdef list take(object pending, Py_ssize_t most)
