"""All page words under one name, the way templates reach them: ``w.bill.title``."""

from words import binding as binding_words
from words import booking as booking_words
from words import books as books_words
from words import choices as choices_words
from words import companion as companion_words
from words import counter as counter_words
from words import desk as desk_words
from words import first as first_words
from words import guide_desk, guide_move, guide_page, letters, patient, way_page
from words import insurance as insurance_words
from words import pay as pay_words
from words import pushes as push_words
from words import sheet as sheet_words


class Pages:
    """One attribute per page."""

    common = patient.Common
    home = patient.Home
    login = patient.Login
    bill = patient.Bill
    ask = patient.Ask
    guide = guide_page.Guide
    ways = way_page.Ways
    visit_pass = patient.Pass
    sheet = sheet_words.Sheet
    pay = pay_words.Pay
    receipt = pay_words.Receipt
    first = first_words.First
    share = pay_words.Share
    ask_first = pay_words.AskFirst
    limits = pay_words.Limits
    link = pay_words.Link
    insurance = insurance_words.Insurance
    family = patient.Family
    binding = binding_words.Binding
    claims = binding_words.Claims
    phones = binding_words.Phones
    companion = companion_words.Companion
    choices = choices_words.Choices
    visits = patient.Visits
    settings = patient.Settings
    reminders = push_words.Settings
    caller = push_words.Caller
    letter = letters.Letter
    sign = letters.Sign
    signed = letters.Signed
    elsewhere = letters.Elsewhere
    withdraw = letters.Withdraw
    desk_letters = letters.DeskLetters
    desk = desk_words.Desk
    desk_login = desk_words.DeskLogin
    troubles = desk_words.Troubles
    desk_pay = desk_words.DeskPay
    books = books_words.Books
    counter = counter_words.Counter
    take = counter_words.Take
    insured = counter_words.Insured
    shifts = counter_words.Shifts
    refunds = counter_words.Refunds
    booking = booking_words.Booking
    desk_bookings = booking_words.DeskBookings
    kiosk = counter_words.Kiosk
    desk_visit = desk_words.DeskVisit
    desk_plan = guide_desk.DeskPlan
    move = guide_move.Move
    stage = desk_words.Stage
    offline = desk_words.Offline
