# docker build -t paddle-vfl . && docker run --rm paddle-vfl
# trains, evaluates and draws the demo; add -v "$PWD/output:/paddle_vfl/output" to keep its pictures
FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ make libgl1 libglib2.0-0 libgomp1 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /paddle_vfl
COPY . .
RUN make venv
CMD ["make", "demo"]
