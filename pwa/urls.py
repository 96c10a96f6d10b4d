"""Where each page lives; the one list that templates and routes share."""

from urllib.parse import quote

from api.doors import DOOR


class Urls:
    """Paths of the PWA. Ids are opaque and never name a person."""

    home = "/"
    login = "/login"
    login_code = "/login/code"
    logout = "/logout"
    prefs = "/prefs"
    visits = "/visits"
    family = "/family"
    invite = "/family/invite"
    claims = "/family/claims"
    contract = "/payments/contract"
    contract_stop = "/payments/contract/stop"
    bind_code = "/bind"
    bind_phone = "/bind/phone"
    phone = "/settings/phone"
    phone_codes = "/settings/phone/codes"
    lost = "/settings/lost"
    desk_phones = "/desk/phones"
    login_who = "/login/who"
    login_enrol = "/login/enrol"
    login_wechat = "/login/wechat"
    settings = "/settings"
    choices = "/choices"
    payments = "/payments"
    reminders = "/settings/reminders"
    reminders_test = "/settings/reminders/test"
    caller = "/caller"
    person = "/person"
    book = "/book"
    bookings = "/bookings"
    desk_bookings = "/desk/bookings"
    desk = "/desk"
    desk_login = "/desk/login"
    desk_scan = "/desk/scan"
    desk_letters = "/desk/letters"
    desk_troubles = "/desk/troubles"
    desk_books = "/desk/books"
    counter = "/desk/counter"
    counter_find = "/desk/counter/find"
    counter_shift = "/desk/counter/shift"
    desk_shifts = "/desk/shifts"
    desk_refunds = "/desk/refunds"
    kiosk = "/kiosk"
    kiosk_setup = "/kiosk/setup"
    kiosk_quit = "/kiosk/quit"
    kiosk_code = "/kiosk/code"
    kiosk_stream = "/kiosk/stream"
    demo = "/demo"
    door = DOOR

    @staticmethod
    def book_times(hospital: str, department: str, day: object = "") -> str:
        """The free times of a department, on one day."""
        return f"/book/{hospital}/{department}" + (f"?day={day}" if day else "")

    @staticmethod
    def book_confirm(hospital: str, department: str, day: object, slot: str, patient: str = "") -> str:
        """Look at one time before it is booked; ``patient``: for somebody else."""
        who = f"&for={patient}" if patient else ""
        return f"/book/{hospital}/{department}/confirm?day={day}&slot={quote(slot, safe='')}{who}"

    @staticmethod
    def booking(booking: str) -> str:
        """One booking, whatever became of it."""
        return f"/bookings/{booking}"

    @staticmethod
    def booking_cancel(booking: str) -> str:
        """Cancel it: what that means, and (POST) do it."""
        return f"/bookings/{booking}/cancel"

    @staticmethod
    def desk_requeue(booking: str) -> str:
        """Put somebody whose call was missed back into the queue (POST)."""
        return f"/desk/bookings/{booking}/requeue"

    @staticmethod
    def bill(visit: str) -> str:
        """The live bill."""
        return f"/visits/{visit}/bill"

    @staticmethod
    def guide(visit: str) -> str:
        """The guide."""
        return f"/visits/{visit}/guide"

    @staticmethod
    def ways(visit: str) -> str:
        """The ways between the places of the visit."""
        return f"/visits/{visit}/ways"

    @staticmethod
    def where(visit: str) -> str:
        """Say where one stands, from a list."""
        return f"/visits/{visit}/where"

    @staticmethod
    def guide_at(hospital: str, code: str) -> str:
        """What the QR on a wall leads to: the guide, beginning there. ``hospital`` is its code."""
        return f"/guide/at/{hospital}/{code}"

    @staticmethod
    def move(visit: str, order: str) -> str:
        """Ask the hospital for another time of an examination that is booked (POST)."""
        return f"/visits/{visit}/orders/{order}/move"

    @staticmethod
    def pass_(visit: str) -> str:
        """The visit pass."""
        return f"/visits/{visit}/pass"

    @staticmethod
    def sheet(visit: str) -> str:
        """The pass and the open orders on one sheet of paper."""
        return f"/visits/{visit}/sheet"

    @staticmethod
    def pass_live(visit: str) -> str:
        """Picture of the live code, drawn anew each time."""
        return f"/visits/{visit}/pass/live.png"

    @staticmethod
    def pass_kept(visit: str) -> str:
        """Picture of the code that may be saved."""
        return f"/visits/{visit}/pass/kept.png"

    @staticmethod
    def paper(code: str) -> str:
        """What the QR of one order on paper leads to; it reveals nothing without a session."""
        return f"/o/{code}"

    @staticmethod
    def desk_visit(visit: str) -> str:
        """One patient at the desk: what can be done for her here."""
        return f"/desk/visits/{visit}"

    @staticmethod
    def desk_plan(visit: str) -> str:
        """Her order of examinations: see it (GET), say what comes first or later (POST)."""
        return f"/desk/visits/{visit}/plan"

    @staticmethod
    def desk_invite(visit: str) -> str:
        """The desk offers for a patient without a phone."""
        return f"/desk/visits/{visit}/invite"

    @staticmethod
    def desk_phone_ask(visit: str) -> str:
        """The patient has another number (GET asks for it, POST hands it to a colleague)."""
        return f"/desk/visits/{visit}/phone"

    @staticmethod
    def desk_phone_codes(visit: str) -> str:
        """A code to the patient's new phone (POST)."""
        return f"/desk/visits/{visit}/phone/codes"

    @staticmethod
    def desk_phone(change: str) -> str:
        """Confirm or refuse a change of number (POST ``do``)."""
        return f"/desk/phones/{change}"

    @staticmethod
    def end_guardian(visit: str, grant: str) -> str:
        """End a guardianship at the desk, or a bond that a desk made."""
        return f"/desk/visits/{visit}/guardian/{grant}/end"

    @staticmethod
    def bind_phone_code(request: str) -> str:
        """The code on the patient's phone."""
        return f"/bind/phone/{request}"

    @staticmethod
    def bind_phone_yes(request: str) -> str:
        """Yes, it is her (POST)."""
        return f"/bind/phone/{request}/yes"

    @staticmethod
    def ask_insurer(bond: str) -> str:
        """Ask the insurer about this pair (POST)."""
        return f"/family/{bond}/insurer"

    @staticmethod
    def desk_caller(visit: str) -> str:
        """Have the code shown that the patient sees, before phoning her (POST)."""
        return f"/desk/visits/{visit}/caller"

    @staticmethod
    def desk_exclude(visit: str) -> str:
        """Turn a visit or a line pay-first (POST)."""
        return f"/desk/visits/{visit}/exclude"

    @staticmethod
    def desk_guardian(visit: str) -> str:
        """Write down who stands for this patient (POST)."""
        return f"/desk/visits/{visit}/guardian"

    @staticmethod
    def desk_dispute(dispute: str) -> str:
        """Answer a dispute at the desk (POST ``upheld``)."""
        return f"/desk/disputes/{dispute}"

    @staticmethod
    def desk_book(day: object) -> str:
        """The books of one day (``2026-11-22``)."""
        return f"/desk/books/{day}"

    @staticmethod
    def desk_difference(difference: str) -> str:
        """Close a difference with a reason (POST)."""
        return f"/desk/books/differences/{difference}"

    @staticmethod
    def desk_take(visit: str, way: str) -> str:
        """Take money at the desk (POST): ``cash``, ``card``, ``code``, ``scanner``, ``stop``."""
        return f"/desk/pay/{visit}/{way}"

    @staticmethod
    def desk_insurance(visit: str, do: str = "") -> str:
        """Use the insurance at the desk (POST): begin, ``terminal``, ``agree``, ``ask``; ``stop`` also asks (GET)."""
        return f"/desk/insurance/{visit}{f'/{do}' if do else ''}"

    @staticmethod
    def refunds(visit: str) -> str:
        """Ask for money back (POST), and what became of it."""
        return f"/visits/{visit}/refunds"

    @staticmethod
    def desk_refund(what: str, identity: str) -> str:
        """Answer a request, hand money out, or note that finance paid it (POST): ``answer``, ``hand``, ``by-hand``."""
        return f"/desk/refunds/{what}/{identity}"

    @staticmethod
    def companion(visit: str) -> str:
        """The companion's story of the visit."""
        return f"/visits/{visit}/story"

    @staticmethod
    def words(visit: str) -> str:
        """Say a ready-made sentence to the other side (POST ``code``)."""
        return f"/visits/{visit}/words"

    @staticmethod
    def watch(bond: str) -> str:
        """Change what a relative sees (POST ``depth``, ``toggle``, ``calls``)."""
        return f"/family/{bond}/watch"

    @staticmethod
    def pay(visit: str) -> str:
        """The pay sheet; POST starts a payment."""
        return f"/visits/{visit}/pay"

    @staticmethod
    def pay_instead(visit: str) -> str:
        """Stop what is being paid by a link, to pay oneself (POST)."""
        return f"/visits/{visit}/pay/instead"

    @staticmethod
    def pay_ask(visit: str) -> str:
        """Ask the patient whether one may pay (POST)."""
        return f"/visits/{visit}/pay/ask"

    @staticmethod
    def pay_answer(visit: str, person: str) -> str:
        """The patient's yes or no to somebody who wishes to pay."""
        return f"/visits/{visit}/pay/answer/{person}"

    @staticmethod
    def decline(visit: str) -> str:
        """Asked to pay, and not this time (POST)."""
        return f"/visits/{visit}/pay/decline"

    @staticmethod
    def links(visit: str) -> str:
        """The visit's pay links; POST makes one."""
        return f"/visits/{visit}/links"

    @staticmethod
    def withdraw_link(visit: str, link: str) -> str:
        """Take a pay link back: what that means, and (POST) do it."""
        return f"/visits/{visit}/links/{link}/withdraw"

    @staticmethod
    def pay_link(token: str) -> str:
        """What a pay link leads to; POST under ``/pay`` pays."""
        return f"/l/{token}"

    @staticmethod
    def limits(patient: str) -> str:
        """What one lets oneself pay for somebody; POST sets it."""
        return f"/family/limits/{patient}"

    @staticmethod
    def first(visit: str) -> str:
        """Choose what to pay before it is done (``?line=…``)."""
        return f"/visits/{visit}/first"

    @staticmethod
    def share(visit: str) -> str:
        """Cut what is left to pay into shares."""
        return f"/visits/{visit}/share"

    @staticmethod
    def share_stop(visit: str) -> str:
        """Share no more; what was paid goes back."""
        return f"/visits/{visit}/share/stop"

    @staticmethod
    def insurance(visit: str) -> str:
        """Pay with the insurance, whatever step it is at; POST begins."""
        return f"/visits/{visit}/insurance"

    @staticmethod
    def insurance_agree(visit: str) -> str:
        """Agree to what the insurance has reckoned (POST)."""
        return f"/visits/{visit}/insurance/agree"

    @staticmethod
    def insurance_stop(visit: str) -> str:
        """Not with the insurance: what that means, and (POST) do it."""
        return f"/visits/{visit}/insurance/stop"

    @staticmethod
    def consent(settlement: str) -> str:
        """Off to the insurance's own page, to consent to one settlement."""
        return f"/insurance/{settlement}/consent"

    @staticmethod
    def consent_back(settlement: str) -> str:
        """Where that page leads back to."""
        return f"/insurance/{settlement}/back"

    @staticmethod
    def round_receipt(visit: str, round_: str) -> str:
        """The receipt of what the insurance paid whole."""
        return f"/visits/{visit}/receipts/{round_}"

    @staticmethod
    def ask_family(visit: str) -> str:
        """Ask a relative to pay."""
        return f"/visits/{visit}/ask"

    @staticmethod
    def leave(visit: str) -> str:
        """Leave now: settle what is done, release what is not."""
        return f"/visits/{visit}/leave"

    @staticmethod
    def dispute(visit: str, line: str) -> str:
        """Dispute one line."""
        return f"/visits/{visit}/lines/{line}/dispute"

    @staticmethod
    def abandon(visit: str, order: str) -> str:
        """Give up one order that is not done yet."""
        return f"/visits/{visit}/orders/{order}/abandon"

    @staticmethod
    def paying(payment: str) -> str:
        """A payment on its way."""
        return f"/payments/{payment}"

    @staticmethod
    def desk_pay(visit: str) -> str:
        """The counter's QR for one visit; POST makes it."""
        return f"/desk/pay/{visit}"

    @staticmethod
    def receipt(payment: str) -> str:
        """The receipt of a payment."""
        return f"/payments/{payment}/receipt"

    @staticmethod
    def visit_receipt(visit: str) -> str:
        """The one receipt of all that was paid of a visit."""
        return f"/visits/{visit}/receipt"

    @staticmethod
    def withdraw_grant(grant: str) -> str:
        """End a grant."""
        return f"/family/{grant}/withdraw"

    @staticmethod
    def taking(visit: str) -> str:
        """What will be taken by contract, and no to it."""
        return f"/visits/{visit}/pay/taking"

    @staticmethod
    def claim(invitation: str) -> str:
        """Say yes or no to who has accepted an invitation."""
        return f"/family/claims/{invitation}"

    @staticmethod
    def bind(token: str) -> str:
        """Accept an invitation."""
        return f"/bind/{token}"

    @staticmethod
    def open_letter(hospital: str) -> str:
        """Begin reading the letter of a hospital (GET shows, POST opens the reading)."""
        return f"/consent/new/{hospital}"

    @staticmethod
    def open_letter_here(hospital: str, patient: str) -> str:
        """The letter on the hospital's own tablet, before a witness."""
        return f"/consent/new/{hospital}?patient={patient}"

    @staticmethod
    def letter(reading: str) -> str:
        """The letter being read."""
        return f"/consent/{reading}"

    @staticmethod
    def beat(reading: str) -> str:
        """Three seconds of reading went by."""
        return f"/consent/{reading}/beat"

    @staticmethod
    def sign(reading: str) -> str:
        """Sign; POST stores the strokes."""
        return f"/consent/{reading}/sign"

    @staticmethod
    def sign_code(reading: str) -> str:
        """Send a code to sign by name and SMS."""
        return f"/consent/{reading}/code"

    @staticmethod
    def signed(contract: str) -> str:
        """Signed: what it means from now on."""
        return f"/consent/contracts/{contract}"

    @staticmethod
    def contract_pdf(contract: str) -> str:
        """The signed letter as PDF."""
        return f"/consent/contracts/{contract}/letter.pdf"

    @staticmethod
    def elsewhere(reading: str) -> str:
        """Go on reading on another device: shows a QR."""
        return f"/consent/{reading}/elsewhere"

    @staticmethod
    def go_on(token: str) -> str:
        """What that QR leads to."""
        return f"/consent/on/{token}"

    @staticmethod
    def withdraw_contract(hospital: str) -> str:
        """Withdraw the standing contract."""
        return f"/consent/withdraw/{hospital}"

    @staticmethod
    def desk_order(order: str) -> str:
        """Act on an order at the desk (POST ``do``)."""
        return f"/desk/orders/{order}"
