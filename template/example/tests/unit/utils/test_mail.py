from email import message_from_bytes
from email.policy import default
from pathlib import Path

from {{ package_name }}.adapters.mail import FolderMailer


class TestFolderMailer:
    def test_mail_is_a_file_that_mail_programs_read(self, tmp_path: Path) -> None:
        folder = tmp_path / "var" / "mail"

        for _ in range(2):
            FolderMailer(folder).send("ada@example.com", "Tee & Kännchen", "token")

        file, _ = folder.iterdir()
        message = message_from_bytes(file.read_bytes(), policy=default)
        assert file.suffix == ".eml"
        assert (message["To"], message["Subject"]) == ("ada@example.com", "Tee & Kännchen")
        assert message.get_content().strip() == "token"
