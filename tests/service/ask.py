"""Requests of a connection each, with no time spent on certificates."""

from functools import partial

import httpx

request = partial(httpx.request, verify=False, timeout=60)
get, post = partial(request, "GET"), partial(request, "POST")
