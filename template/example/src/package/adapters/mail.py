"""Mail as files in a folder, for whatever delivers it from there."""

from email.message import EmailMessage
from pathlib import Path
from uuid import uuid4


class FolderMailer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, to: str, subject: str, text: str) -> None:
        message = EmailMessage()
        message["To"] = to
        message["Subject"] = subject
        message.set_content(text)
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f"{uuid4()}.partial"
        partial.write_bytes(message.as_bytes())
        # Whoever looks for mail finds a whole one or none.
        partial.rename(partial.with_suffix(".eml"))
