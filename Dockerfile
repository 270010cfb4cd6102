# A signed deployment; IMAGE_PROXY_UNSIGNED=presets is the other way that a public address accepts:
#   docker build -t image-proxy .
#   docker run --read-only --tmpfs /tmp -v cache:/var/cache/image-proxy -v ~/Pictures:/originals:ro \
#     -e IMAGE_PROXY_SECRETS="$(openssl rand -hex 32)" -p 8000:8000 image-proxy
# With letters of Chinese, Japanese, Korean, Arabic, Hindi, Thai, and emoji for texts:
#   docker build -t image-proxy --build-arg FONTS="fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji" .
# Secrets are better read from a file: IMAGE_PROXY_SECRETS_FILE=/run/secrets/image-proxy.

FROM python:3.13-slim-trixie@sha256:ffb752e139c0a19692a43af8d8523b274222dd68eebad5d583b45c2201c6e30a AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PKG_CONFIG=false
WORKDIR /source
RUN python -m venv --without-pip /opt/image-proxy
COPY requirements-build.lock requirements.lock ./
RUN python -m pip install --require-hashes -r requirements-build.lock \
 && python -m pip wheel --require-hashes --no-build-isolation --wheel-dir /wheels -r requirements.lock \
 && python -m pip --python /opt/image-proxy/bin/python install --no-index --no-deps /wheels/*.whl
COPY pyproject.toml README.md LICENSE ./
COPY proxy proxy
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /own . \
 && python -m pip --python /opt/image-proxy/bin/python install --no-index --no-deps /own/*.whl \
 && /opt/image-proxy/bin/python -m compileall -q /opt/image-proxy/lib

FROM python:3.13-slim-trixie@sha256:ffb752e139c0a19692a43af8d8523b274222dd68eebad5d583b45c2201c6e30a
LABEL org.opencontainers.image.title="image-proxy" \
      org.opencontainers.image.description="A self-hosted image transformation proxy: a URL becomes a picture" \
      org.opencontainers.image.licenses="MIT"
# Packages of Debian; fonts of your own are mounted at /usr/local/share/fonts.
ARG FONTS=""
RUN if [ -n "$FONTS" ]; then \
        apt-get update && apt-get install -y --no-install-recommends $FONTS && rm -rf /var/lib/apt/lists/*; \
    fi
RUN install -d -o 10001 -g 10001 /var/cache/image-proxy /originals /usr/local/share/fonts /var/cache/fontconfig
COPY --from=build /opt/image-proxy /opt/image-proxy
COPY presets.yaml /etc/image-proxy/presets.yaml
ENV PATH=/opt/image-proxy/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    IMAGE_PROXY_ORIGIN=file:///originals \
    IMAGE_PROXY_PRESETS=/etc/image-proxy/presets.yaml \
    IMAGE_PROXY_CACHE=memory://256MB,disk:///var/cache/image-proxy?size=2GB \
    IMAGE_PROXY_ORIGINALS_CACHE=memory://128MB,disk:///var/cache/image-proxy/originals?size=4GB
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
WORKDIR /tmp
VOLUME /var/cache/image-proxy
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', None, 2)"]
ENTRYPOINT ["image-proxy"]
CMD ["serve", "--host", "0.0.0.0"]
