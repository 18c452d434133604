cimport cython

@cython.locals(
    numbers=dict, rows=list, moment=cython.longlong, before=cython.longlong,
    address=object, agent=object, method=object, path=object, request_id=object,
)
cpdef tuple pack(object uses, object start)
