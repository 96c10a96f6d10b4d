"""Made the golden letters of the insurance's payment centre with OpenSSL's command line; run it to add a province.

Nothing here comes from the adapter or the sandbox: the signed texts below were written by hand after the centre's
public samples, SM4 is ``openssl enc -sm4-ecb``, the signatures are ``openssl pkeyutl -sign -digest sm3`` with the user
id as ``distid``. OpenSSL draws a new k each time, so a new run gives other, equally valid signatures.
"""

import base64
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

APP_ID, SECRET = "1GNLLP3C8RTT3F60C80A00003D2E3B4C", "8f1b0c5d7e2a4936b1c0d9e8f7a6b5c4"
INNER = (
    '{"feedetailList":[{"cnt":12.30,"detItemFeeSumamt":"77.60","empty":"","medListCodg":"A/1"},"",null],'
    '"feeType":"01","acctUsedFlag":"","diseinfoList":[],"extData":{"Zeta":true,"alpha":null,"beta":3},'
    '"userName":"示例父","note":"a\\"b\\\\c","medfeeSumamt":77.60}'
)
ORDINAL = (
    '{"extData":{"Zeta":"true","beta":"3"},"feeType":"01","feedetailList":[{"cnt":"12.30",'
    '"detItemFeeSumamt":"77.60","medListCodg":"A/1"}],"medfeeSumamt":"77.60","note":"a\\"b\\\\c","userName":"示例父"}'
)
BLIND = (
    '{"extData":{"beta":"3","Zeta":"true"},"feedetailList":[{"cnt":"12.30","detItemFeeSumamt":"77.60",'
    '"medListCodg":"A/1"}],"feeType":"01","medfeeSumamt":"77.60","note":"a\\"b\\\\c","userName":"示例父"}'
)
TEXT = (
    f"appId={APP_ID}&code=0&data=%s&encType=SM4&message=成功&signType=SM2&success=true"
    f"&timestamp=1795320000000&version=2.0.1&key={SECRET}"
)
NUMBERED = '{"output":{"data":%s},"infcode":"0"}', '{"infcode":"0","output":{"data":%s}}'
PROVINCES: list[dict[str, Any]] = [
    {"name": "ordinal, secret as user id", "nested_order": "ordinal", "user_id": None, "upper_hex": True}
    | {"inner": INNER, "signed": ORDINAL},
    {"name": "without case, fixed user id", "nested_order": "case_insensitive", "user_id": "1234567812345678"}
    | {"upper_hex": False, "inner": INNER, "signed": BLIND},
    {"name": "numbered", "nested_order": "ordinal", "user_id": None, "upper_hex": True, "wrapping": "numbered"}
    | {"inner": NUMBERED[0] % INNER, "signed": NUMBERED[1] % ORDINAL},
]  # fmt: skip


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    """One command's output."""
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True).stdout


def sm4(key: bytes, plain: bytes) -> bytes:
    """SM4-ECB with PKCS7."""
    return openssl("enc", "-sm4-ecb", "-K", key.hex(), stdin=plain)


def sign(folder: Path, text: str, uid: str) -> bytes:
    """r‖s of OpenSSL's DER."""
    (folder / "text").write_text(text, "utf-8")
    options = ("-rawin", "-digest", "sm3", "-pkeyopt", f"distid:{uid}")
    der = openssl("pkeyutl", "-sign", *options, "-inkey", str(folder / "key"), "-in", str(folder / "text"))
    lines = openssl("asn1parse", "-inform", "DER", stdin=der).decode().splitlines()
    numbers = [int(line.rpartition(":")[2], 16) for line in lines if "INTEGER" in line]
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def main() -> None:
    """Write ``insurance.json`` beside this file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        openssl("ecparam", "-name", "SM2", "-genkey", "-noout", "-out", str(folder / "key"))
        shown = openssl("ec", "-in", str(folder / "key"), "-text", "-noout").decode()
        private, _, rest = shown.partition("priv:")[2].partition("pub:")
        key = "".join(private.split()).replace(":", "")[-64:]
        public = "".join(rest.partition("ASN1")[0].split()).replace(":", "")
        data_key = sm4(APP_ID[:16].encode(), SECRET.encode()).hex().upper()[:16]
        letters = []
        for one in PROVINCES:
            text = TEXT % one.pop("signed")
            inner = one.pop("inner")
            sealed = sm4(data_key.encode(), inner.encode()).hex()
            letter = {
                "appId": APP_ID,
                "code": "0",
                "message": "成功",
                "success": True,
                "timestamp": "1795320000000",
                "version": "2.0.1",
                "encType": "SM4",
                "signType": "SM2",
                "encData": sealed.upper() if one["upper_hex"] else sealed,
                "signData": base64.b64encode(sign(folder, text, one["user_id"] or SECRET)).decode(),
                "extra": "not signed",
            }
            letters.append({"province": one, "inner": inner, "sign_text": text, "letter": letter})
    made = {
        "how": "make_insurance.py: openssl 3.0 enc -sm4-ecb, pkeyutl -sign -digest sm3 -pkeyopt distid; texts by hand",
        "app_id": APP_ID,
        "app_secret": SECRET,
        "private_key": key,
        "public_key": public,
        "data_key": data_key,
        "letters": letters,
    }
    file = Path(__file__).with_name("insurance.json")
    file.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
