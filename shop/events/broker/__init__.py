"""Events over a broker: queues, sealed batches, who sends them and who takes them. Only with ``BROKER_URL``.

The relay hands over here instead of calling the handlers; a Celery worker takes what is in its contexts' queues.
"""
