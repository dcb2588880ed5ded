# One image: bot and engine. Data lies in the volume /data; flows are mounted at /flows.
FROM python:3.11-slim
RUN useradd --create-home --uid 10001 parley 2>/dev/null || adduser -D -u 10001 parley
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY engine engine
COPY flows flows
RUN python -m pip install --no-cache-dir . && mkdir -p /data /flows && chown parley /data /flows
USER parley
ENV PARLEY_DATA=/data PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8082
STOPSIGNAL SIGTERM
ENTRYPOINT ["parley"]
CMD ["up", "--flows", "/flows"]
