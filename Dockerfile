# docker build -t reconciler .        docker run --rm reconciler demo
# Name an image with a digest here to pin it: --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The dependencies first: this layer stays as long as the locks do. Whatever is downloaded must have a hash in a lock.
# Neither pip nor the build backend gets into /opt/reconciler, which is all that leaves this stage.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv --without-pip /opt/reconciler \
 && python -m pip --python /opt/reconciler/bin/python install --no-cache-dir --no-compile --no-deps --require-hashes -r requirements.lock \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements-build.lock
# Tests of other people's packages, shells' activation scripts, and commands that nobody here calls.
RUN rm -rf /opt/reconciler/lib/python*/site-packages/*/test \
           /opt/reconciler/lib/python*/site-packages/*/tests \
           /opt/reconciler/lib/python*/site-packages/*/testing \
 && find /opt/reconciler/bin -type f -delete
COPY pyproject.toml README.md LICENSE ./
COPY reconciler ./reconciler
# Bytecode, because none can be written later, and a start, which each health check is, would take three times as long.
# In a folder of its own, since Python's images have none of the standard library either: that takes half a second of
# each start. All of what is small; of the rest what we or the demo import. Of the words of five hundred languages that
# a traceback could be coloured by, those of Python stay, and what is imported with them.
RUN /opt/build/bin/pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
 && python -m pip --python /opt/reconciler/bin/python install --no-cache-dir --no-compile --no-index --no-deps /wheels/*.whl \
 && python -m pip --python /opt/reconciler/bin/python check \
 && export PYTHONPYCACHEPREFIX=/opt/reconciler/bytecode \
 && /opt/reconciler/bin/python -m compileall -q -j 0 /opt/reconciler/lib \
      -x '/(alembic|anyio|jinja2|mako|markdown_it|more_itertools|pydantic|pygments|rich|sqlalchemy|werkzeug)/' \
 && /opt/reconciler/bin/python -c "import pkgutil, pygments.lexers.python, reconciler; \
      [__import__(m.name) for m in pkgutil.walk_packages(reconciler.__path__, 'reconciler.') if '.migrations' not in m.name]" \
 && /opt/reconciler/bin/reconciler demo --companies 20 --contacts 100 --json \
 && cd /opt/reconciler/lib/python3.*/site-packages/pygments/lexers \
 && for lexer in *.py; do ls "$PYTHONPYCACHEPREFIX$PWD/${lexer%py}"*.pyc > /dev/null 2>&1 || rm "$lexer"; done

FROM ${PYTHON_IMAGE}
ARG VERSION=unreleased
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="reconciler" \
      org.opencontainers.image.description="Keeps every Bitrix24 contact with the owner of its company, and shows what it did." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /opt/reconciler /opt/reconciler
# Made in the image and as that user: a fresh volume takes over owner and rights of the folder it covers.
# A number, not a name, so that an orchestrator can see that it is not root.
RUN install -d -o 10001 -g 10001 -m 0750 /data
ENV PATH=/opt/reconciler/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPYCACHEPREFIX=/opt/reconciler/bytecode \
    RECONCILER_JOURNAL__URL=sqlite:////data/reconciler.sqlite3 \
    RECONCILER_WEB__ADDRESS=0.0.0.0
USER 10001:10001
WORKDIR /data
# The status page: on all addresses inside, and not published unless you say so.
EXPOSE 9464
VOLUME ["/data"]
ENTRYPOINT ["reconciler"]
# Each check starts a Python of its own (half a second): not more often than needed.
HEALTHCHECK --interval=20s --timeout=10s --start-period=30s --retries=3 CMD ["reconciler", "health"]
