
# What `deploy/space/make.sh` adds to the Dockerfile: a Space runs it as user 1000, over HTTPS, in a
# frame of huggingface.co, and tells its own name at the start.
USER root
RUN chown -R 1000:1000 /scratch /receipts
USER 1000:1000
ENV LIKENESS_DEMO=true \
    LIKENESS_HTTPS=true \
    LIKENESS_PORTALS=https://huggingface.co
CMD ["sh", "-c", "LIKENESS_HOSTS=\"$SPACE_HOST\" exec /app/.venv/bin/python app.py"]
