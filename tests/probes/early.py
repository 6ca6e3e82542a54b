"""Imports every client before the guard comes: `pytest -p early`."""

import asyncpg  # noqa: F401
import confluent_kafka.admin  # noqa: F401
import grpc.aio  # noqa: F401
import mysql.connector.connection_cext  # noqa: F401
import psycopg  # noqa: F401
import psycopg2.pool  # noqa: F401
import psycopg_pool  # noqa: F401
import redis.asyncio  # noqa: F401
import uvloop  # noqa: F401
