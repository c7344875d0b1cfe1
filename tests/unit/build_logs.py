"""Logs of BuildKit, cut from those of Compose 2.40 with the BuildKit of Docker Engine 20.10, without buildx.

The images are built one after the other there. Bake prints the same lines, those of several images mixed.
"""

BUILT = """\
time="2026-11-27T22:01:10Z" level=warning msg="Compose is configured to build using Bake, but buildx isn't installed"
#0 building with "default" instance using docker driver

#1 [prepare internal] load build definition from Dockerfile
#1 transferring dockerfile: 714B done
#1 DONE 0.0s

#3 [prepare internal] load metadata for docker.io/library/python:3.11-slim-bookworm
#3 DONE 0.0s

#4 [prepare internal] load build context
#4 transferring context: 199.06MB 2.4s done
#4 DONE 2.4s

#5 [prepare stage-0 2/3] RUN --mount=type=bind,source=images/base/install,target=/build/install sh /build/install
#5 0.699 Get:1 http://packages.example/debian bookworm InRelease [151 kB]
#5 ...

#6 [prepare stage-0 1/3] FROM docker.io/library/python:3.11-slim-bookworm
#6 ...

#5 [prepare stage-0 2/3] RUN --mount=type=bind,source=images/base/install,target=/build/install sh /build/install
#5 DONE 42.3s

#7 [prepare stage-0 3/3] COPY driver driver
#7 DONE 0.0s

#6 [prepare stage-0 1/3] FROM docker.io/library/python:3.11-slim-bookworm
#6 ...

#11 [prepare] exporting to image
#11 exporting layers
#11 exporting layers 5.7s done
#11 naming to docker.io/library/crossquant-driver done
#11 DONE 5.7s

#12 [keras internal] load build definition from Dockerfile
#12 DONE 0.0s

#6 [keras stage-0 1/3] FROM docker.io/library/python:3.11-slim-bookworm
#6 DONE 5.0s

#15 [keras stage-0 2/3] RUN --mount=type=bind,source=images/base/install,target=/build/install sh /build/install
#15 CACHED

#16 [keras emulator 2/2] WORKDIR /emulator
#16 CACHED

#17 [keras stage-0 3/3] COPY images/keras images/keras
#17 CACHED

#11 [keras] exporting to image
#11 exporting layers done
#11 DONE 0.1s
 keras  Built
 prepare  Built
"""
FAILED = """\
#1 [keras internal] load build definition from Dockerfile
#1 DONE 0.0s

#2 [keras stage-0 2/3] RUN sh /build/install /build/requirements.lock /opt/venv
#2 3.12 ERROR: No matching distribution found for keras==3.11
#2 ERROR: process "/bin/sh -c sh /build/install" did not complete successfully: exit code: 1

#3 [keras stage-0 1/3] FROM docker.io/library/python:3.11-slim-bookworm
#3 CANCELED
------
 > [keras stage-0 2/3] RUN sh /build/install /build/requirements.lock /opt/venv:
3.12 ERROR: No matching distribution found for keras==3.11
------
target keras: failed to solve: process "/bin/sh -c sh /build/install" did not complete successfully: exit code: 1
"""
