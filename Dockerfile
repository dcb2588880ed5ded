# One image: bot and engine. Data lies in the volume /data; flows are mounted at /flows.
FROM python:3.11-slim
RUN echo "parley:x:10001:10001::/home/parley:/bin/sh" >> /etc/passwd && echo "parley:x:10001:" >> /etc/group \
    && mkdir -p /home/parley && chown 10001:10001 /home/parley
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY engine engine
COPY flows flows
RUN python -m pip install --no-cache-dir . && mkdir -p /data /flows && chown 10001:10001 /data /flows
USER 10001:10001
ENV HOME=/home/parley PARLEY_DATA=/data PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8082
STOPSIGNAL SIGTERM
ENTRYPOINT ["parley"]
CMD ["up", "--flows", "/flows"]
