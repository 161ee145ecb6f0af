#!/usr/bin/env python3
"""Validates runbooks against the JSON Schema by an implementation that is not ours: python3-jsonschema.

usage: validate.py SCHEMA RUNBOOK...

Prints one line per runbook, "ok PATH" or "bad PATH: where: what", and exits 1 where one is bad, 2 where it could not look.
TOML's dates and times become texts (RFC 3339) first, as editors hand them to a schema.
"""

import datetime
import json
import sys
import tomllib

import jsonschema


def plain(value):
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return value


def main(schema_path, *runbooks):
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    bad = False
    for path in runbooks:
        with open(path, "rb") as file:
            errors = sorted(validator.iter_errors(plain(tomllib.load(file))), key=str)
        if not errors:
            print(f"ok {path}")
        for error in errors:
            bad = True
            where = "/".join(str(part) for part in error.absolute_path) or "the runbook"
            print(f"bad {path}: {where}: {error.message[:300]}")
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (OSError, tomllib.TOMLDecodeError, jsonschema.SchemaError) as error:
        print(f"validate.py: {error}", file=sys.stderr)
        sys.exit(2)
