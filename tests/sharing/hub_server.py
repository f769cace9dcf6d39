"""A stand-in for the Hugging Face hub: the few requests that a push and a pull make, answered from memory.

Made from what huggingface_hub 2.4 asks; the real one was never asked. Small files travel in the commit itself; the real
hub has large ones uploaded apart, which this one never demands.
"""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub:
    """Repositories: {name: [(commit, {file: content}), ...]}, newest last; and every request that came."""

    def __init__(self):
        self.repositories, self.private, self.requests = {}, {}, []
        self.refuses, self.address = None, ""

    def commit(self, name, files):
        before = self.repositories[name][-1][1] if self.repositories.setdefault(name, []) else {}
        whole = before | files
        oid = hashlib.sha1(repr((len(self.repositories[name]), sorted(whole.items()))).encode()).hexdigest()
        self.repositories[name].append((oid, whole))
        return oid

    def found(self, name, revision):
        commits = self.repositories.get(name, [])
        if revision == "main":
            return commits[-1] if commits else None
        return next((one for one in commits if one[0] == revision), None)


@contextmanager
def serving():
    """(address, Hub) of a hub that answers on this machine."""
    hub = Hub()

    class Answers(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def tell(self, code, content=b"", **headers):
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(code)
            for key, value in headers.items():
                self.send_header(key.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def nothing(self, code="RepoNotFound"):
            self.tell(404, {"error": "not found"}, X_Error_Code=code, X_Error_Message="not found")

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hub.requests.append(("POST", self.path))
            if hub.refuses:
                self.tell(hub.refuses, {"error": "forbidden"})
            elif self.path == "/api/repos/create":
                asked = json.loads(body)
                name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
                hub.private[name] = asked.get("private", asked.get("visibility") == "private")
                hub.repositories.setdefault(name, [])
                self.tell(200, {"url": f"{address}/{name}"})
            elif self.path == "/api/validate-yaml":
                self.tell(200, {"errors": [], "warnings": []})
            elif "/preupload/" in self.path:
                files = json.loads(body)["files"]
                self.tell(
                    200, {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
                )
            else:
                name = self.path.removeprefix("/api/models/").split("/commit/")[0]
                lines = [json.loads(line) for line in body.splitlines() if line]
                files = {
                    one["value"]["path"]: base64.b64decode(one["value"]["content"])
                    for one in lines
                    if one["key"] == "file"
                }
                oid = hub.commit(name, files)
                self.tell(200, {"commitUrl": f"{address}/{name}/commit/{oid}", "commitOid": oid, "success": True})

        def do_GET(self):
            hub.requests.append((self.command, self.path))
            parts = self.path.split("?")[0].strip("/").split("/")
            if parts[:2] != ["api", "models"] and "resolve" not in parts:
                return self.nothing("EntryNotFound")  # what the client asks for its own sake
            if parts[:2] == ["api", "models"]:
                name, what, revision = "/".join(parts[2:4]), *(parts[4:6] or ("revision", "main"))
                if not (at := hub.found(name, revision)):
                    return self.nothing("RevisionNotFound" if name in hub.repositories else "RepoNotFound")
                oid, files = at
                if what == "tree":
                    rows = [{"type": "file", "path": f, "size": len(c), "oid": "0" * 40} for f, c in files.items()]
                    return self.tell(200, rows, Content_Type="application/json")
                siblings = [{"rfilename": file} for file in files]
                return self.tell(200, {"id": name, "modelId": name, "sha": oid, "siblings": siblings, "private": False})
            name, revision, file = "/".join(parts[:2]), parts[3], "/".join(parts[4:])
            if not (at := hub.found(name, revision)) or file not in at[1]:
                return self.nothing("EntryNotFound")
            content = at[1][file]
            etag = f'"{hashlib.sha1(content).hexdigest()}"'
            return self.tell(200, content, ETag=etag, X_Repo_Commit=at[0])

        do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield address, hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def as_the_hub(monkeypatch, cache):
    """A `Hub` that huggingface_hub takes for the real one in this process, with its cache there, and a token."""
    import huggingface_hub.constants as constants

    with serving() as (address, hub):
        for name, value in {
            "ENDPOINT": address,
            "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(cache),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_DISABLE_PROGRESS_BARS": True,
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        hub.address = address
        yield hub
