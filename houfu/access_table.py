"""The rows of ``docs/access.md``: one line for each route, with the name of its rule in ``houfu.access.RULES``.

A new route needs a line here, and in ``tests/policy/requests.py`` one if more than the ids of its path has to be sent;
then ``houfu docs``. An exception for one of everybody stands behind the rule: ``former=absent``.
"""

TABLE = """
# for programs: visits
GET    /api/visits                                            oneself  former=absent other=absent
GET    /api/visits/{visit_id}                                 money
GET    /api/visits/{visit_id}/steps                           steps
GET    /api/visits/{visit_id}/pass                            show_pass
GET    /api/visits/{visit_id}/stream                          visit
WS     /api/visits/{visit_id}/live                            visit
GET    /api/news                                              oneself
WS     /api/news/live                                         oneself
POST   /api/visits/{visit_id}/orders/{order_id}/abandon       abandon  doctor=no
POST   /api/visits/{visit_id}/lines/{line_id}/dispute         dispute
POST   /api/visits/{visit_id}/leave                           leave
GET    /api/visits/{visit_id}/words                           send_word
POST   /api/visits/{visit_id}/words                           send_word
# for programs: booking
GET    /api/hospitals/{hospital_id}/slots                     own.book
POST   /api/bookings                                          own.book
GET    /api/bookings                                          oneself
GET    /api/bookings/{booking_id}                             booked
POST   /api/bookings/{booking_id}/cancel                      booked
GET    /api/desk/bookings                                     queues
POST   /api/desk/bookings/{booking_id}/requeue                requeue  doctor=no
# for programs: the letter
GET    /api/consent/offers/{hospital_id}                      oneself
POST   /api/consent/readings                                  own.sign
GET    /api/consent/readings/{reading_id}                     hers
GET    /api/consent/readings/{reading_id}/stream              hers
POST   /api/consent/readings/{reading_id}/beats               hers
POST   /api/consent/readings/{reading_id}/pen                 hers
POST   /api/consent/readings/{reading_id}/code                hers
POST   /api/consent/readings/{reading_id}/sign                hers
GET    /api/consent/contracts                                 oneself
GET    /api/consent/contracts/{contract_id}/evidence.json     letter
POST   /api/consent/contracts/{hospital_id}/withdraw          own.withdraw
POST   /api/consent/contracts/{contract_id}/countersign       doctor.here
# for programs: the family
GET    /api/family                                            oneself
POST   /api/family/invitations                                own.share
GET    /api/family/invitations/{token}                        invited
POST   /api/family/invitations/{token}/accept                 invited
DELETE /api/family/invitations/{invitation_id}                own.share
POST   /api/family/codes                                      invited
DELETE /api/family/bonds/{bond}                               bond
POST   /api/family/bonds/{bond}/watch                         own.share
GET    /api/family/choices                                    own.share
POST   /api/family/choices                                    own.share
GET    /api/family/looks                                      own.read_looks
POST   /api/family/guardians                                  guardians.known
GET    /api/family/limits/{patient_id}                        payer
POST   /api/family/limits/{patient_id}                        payer
# for programs: payments
POST   /api/visits/{visit_id}/payments                        pays
GET    /api/payments                                          oneself
GET    /api/payments/{payment_id}                             payment
POST   /api/payments/{payment_id}/cancel                      payment
POST   /api/visits/{visit_id}/shares                          pays
POST   /api/visits/{visit_id}/shares/give-up                  pays
POST   /api/visits/{visit_id}/pay-links                       pay
GET    /api/visits/{visit_id}/pay-links                       pay
DELETE /api/pay-links/{link_id}                               given
GET    /api/pay-links/{token}                                 link
POST   /api/visits/{visit_id}/pay-requests                    pay
GET    /api/pay-requests                                      oneself
POST   /api/pay-requests/answer                               own.share
POST   /api/visits/{visit_id}/insurance                       ask_family
GET    /api/visits/{visit_id}/insurance                       ask_family
GET    /api/insurance/{settlement_id}/consent                 hers
POST   /api/insurance/{settlement_id}/consent                 hers
POST   /api/visits/{visit_id}/insurance/agree                 ask_family
# for programs: reminders, session, WeChat
GET    /api/reminders                                         oneself
POST   /api/reminders                                         oneself
POST   /api/reminders/browsers                                oneself
DELETE /api/reminders/browsers                                hers
POST   /api/reminders/test                                    oneself
GET    /api/caller-codes                                      oneself
POST   /api/caller-codes/message                              oneself
GET    /api/session                                           session
DELETE /api/session                                           session
POST   /api/session/code                                      anyone
POST   /api/session                                           anyone
POST   /api/session/choose                                    anyone
POST   /api/session/enrol                                     anyone
POST   /api/session/wechat-mini                               anyone
POST   /api/session/staff                                     anyone
GET    /api/wechat/page                                       session
# for programs: the staff
POST   /api/desk/scan                                         desks
GET    /api/desk/stream                                       staff
POST   /api/desk/visits/{visit_id}/caller-code                phones
GET    /api/desk/books/{day}                                  finance
POST   /api/desk/books/{day}                                  finance
POST   /api/wechat/codes                                      staff
# machines, and probes
POST   /api/his/events                                        signed
POST   /api/terminals/captures                                signed
POST   /api/terminals/faces                                   signed
POST   /api/callbacks/insurance                               signed
POST   /api/callbacks/sms/{secret}                            signed
GET    /api/callbacks/wechat                                  signed
POST   /api/callbacks/wechat                                  signed
POST   /api/callbacks/wechat-pay                              signed
POST   /api/callbacks/wechat-pay/insurance                    signed
POST   /api/callbacks/wechat-pay/refund                       signed
GET    /livez                                                 anyone
GET    /readyz                                                anyone
GET    /metrics                                               anyone
# pages: logging in
GET    /go                                                    anyone
GET    /go/pay                                                anyone
GET    /go/watch                                              anyone
GET    /login                                                 anyone
POST   /login/code                                            anyone
POST   /login                                                 anyone
POST   /login/who                                             anyone
POST   /login/enrol                                           anyone
GET    /login/wechat                                          anyone
GET    /login/wechat/back                                     anyone
POST   /logout                                                anyone
POST   /prefs                                                 anyone
GET    /offline                                               anyone
# pages: visits
GET    /                                                      oneself
GET    /visits                                                oneself
GET    /visits/{visit_id}/bill                                visit
GET    /visits/{visit_id}/guide                               visit
GET    /visits/{visit_id}/story                               visit
GET    /visits/{visit_id}/pass                                show_pass
GET    /visits/{visit_id}/pass/live.png                       show_pass
GET    /visits/{visit_id}/pass/kept.png                       show_pass
GET    /visits/{visit_id}/sheet                               show_pass
GET    /o/{code}                                              steps  payer=absent
GET    /visits/{visit_id}/lines/{line_id}/dispute             dispute
POST   /visits/{visit_id}/lines/{line_id}/dispute             dispute
GET    /visits/{visit_id}/orders/{order_id}/abandon           abandon
POST   /visits/{visit_id}/orders/{order_id}/abandon           abandon
GET    /visits/{visit_id}/ask                                 ask_family
GET    /visits/{visit_id}/leave                               leave
POST   /visits/{visit_id}/leave                               leave
POST   /visits/{visit_id}/words                               send_word
# pages: booking
GET    /book                                                  oneself
GET    /book/{code}/{department}                              oneself
GET    /book/{code}/{department}/confirm                      oneself
POST   /book                                                  own.book
GET    /bookings                                              oneself
GET    /bookings/{booking_id}                                 booked
GET    /bookings/{booking_id}/cancel                          booked
POST   /bookings/{booking_id}/cancel                          booked
# pages: paying
GET    /visits/{visit_id}/pay                                 pay
POST   /visits/{visit_id}/pay                                 pay
POST   /visits/{visit_id}/pay/instead                         pay
POST   /visits/{visit_id}/pay/ask                             pay
GET    /visits/{visit_id}/pay/answer/{person_id}              own.share
POST   /visits/{visit_id}/pay/answer/{person_id}              own.share
POST   /visits/{visit_id}/pay/decline                         asked
GET    /visits/{visit_id}/first                               pay
GET    /visits/{visit_id}/share                               pay
POST   /visits/{visit_id}/share                               pay
GET    /visits/{visit_id}/share/stop                          pay
POST   /visits/{visit_id}/share/stop                          pay
GET    /visits/{visit_id}/links                               pay
POST   /visits/{visit_id}/links                               pay
GET    /visits/{visit_id}/links/{link_id}/withdraw            pay
POST   /visits/{visit_id}/links/{link_id}/withdraw            given
GET    /l/{token}                                             link
POST   /l/{token}/pay                                         link
GET    /l/{token}/p/{payment_id}                              link
POST   /l/{token}/p/{payment_id}/cancel                       link
GET    /link/back                                             link
GET    /payments                                              oneself
GET    /payments/{payment_id}                                 payment
POST   /payments/{payment_id}/cancel                          payment
GET    /payments/{payment_id}/receipt                         receipt
GET    /payments/{payment_id}/receipt.pdf                     receipt
GET    /visits/{visit_id}/receipt                             receipt
GET    /visits/{visit_id}/receipt.pdf                         receipt
GET    /visits/{visit_id}/receipts/{round_id}                 receipt.whole
GET    /visits/{visit_id}/receipts/{round_id}/paper.pdf       receipt.whole
GET    /visits/{visit_id}/refunds                             ask_refund
POST   /visits/{visit_id}/refunds                             ask_refund
GET    /visits/{visit_id}/insurance                           ask_family
POST   /visits/{visit_id}/insurance                           ask_family
GET    /insurance/{settlement_id}/consent                     hers
GET    /insurance/{settlement_id}/back                        hers
POST   /visits/{visit_id}/insurance/agree                     ask_family
GET    /visits/{visit_id}/insurance/stop                      ask_family
POST   /visits/{visit_id}/insurance/stop                      ask_family
# pages: the letter
GET    /consent/new/{hospital_id}                             own.sign  former=yes other=yes
POST   /consent/new/{hospital_id}                             own.sign  former=yes other=yes
GET    /consent/withdraw/{hospital_id}                        oneself
POST   /consent/withdraw/{hospital_id}                        own.withdraw  former=yes other=yes
GET    /consent/on/{token}                                    session
POST   /consent/on/{token}                                    hand
GET    /consent/contracts/{contract_id}                       letter
GET    /consent/contracts/{contract_id}/letter.pdf            letter
GET    /consent/{reading_id}                                  hers
POST   /consent/{reading_id}/beat                             hers
GET    /consent/{reading_id}/elsewhere                        hers
GET    /consent/{reading_id}/sign                             hers
POST   /consent/{reading_id}/code                             hers
POST   /consent/{reading_id}/sign                             hers
# pages: the family, and oneself
GET    /family                                                oneself
GET    /family/invite                                         oneself
POST   /family/invite                                         oneself
GET    /family/invite/{invitation}/qr.png                     own.share
GET    /family/{bond}/withdraw                                bond
POST   /family/{bond}/withdraw                                bond
POST   /family/{bond}/watch                                   own.share
GET    /choices                                               oneself
POST   /choices                                               oneself
GET    /family/limits/{patient_id}                            payer
POST   /family/limits/{patient_id}                            payer
GET    /bind                                                  oneself
POST   /bind                                                  invited
GET    /bind/{token}                                          invited
POST   /bind/{token}                                          invited
GET    /settings                                              oneself
POST   /settings/reminders                                    oneself
POST   /settings/reminders/test                               oneself
GET    /person                                                oneself
GET    /caller                                                oneself
POST   /caller                                                oneself
# pages: the desks
GET    /desk/login                                            anyone
POST   /desk/login                                            anyone
GET    /desk                                                  staff
POST   /desk/scan                                             desks
POST   /desk/orders/{order_id}                                check_in
POST   /desk/disputes/{dispute_id}                            answers
GET    /desk/bookings                                         queues
POST   /desk/bookings/{booking_id}/requeue                    requeue  doctor=no
GET    /desk/letters                                          doctor
POST   /desk/letters                                          doctor.here
GET    /desk/visits/{visit_id}                                phones
POST   /desk/visits/{visit_id}/caller                         phones
POST   /desk/visits/{visit_id}/guardian                       guardians
GET    /desk/counter                                          cashier
POST   /desk/counter/find                                     cashier  counter@=absent
POST   /desk/counter/shift                                    cashier
GET    /desk/shifts                                           money.staff
GET    /desk/pay/{visit_id}                                   take_payment
POST   /desk/pay/{visit_id}                                   take_payment
POST   /desk/pay/{visit_id}/stop                              take_payment
POST   /desk/pay/{visit_id}/{way}                             take_payment
GET    /desk/pay/{visit_id}/{payment_id}/qr.png               take_payment
POST   /desk/insurance/{visit_id}                             take_payment
POST   /desk/insurance/{visit_id}/terminal                    take_payment
POST   /desk/insurance/{visit_id}/agree                       take_payment
POST   /desk/insurance/{visit_id}/ask                         take_payment
GET    /desk/insurance/{visit_id}/stop                        take_payment
POST   /desk/insurance/{visit_id}/stop                        take_payment
GET    /desk/refunds                                          money.staff
POST   /desk/refunds/{what}/{identity}                        finance.here
GET    /desk/troubles                                         money.staff
POST   /desk/troubles                                         money.here
GET    /desk/books                                            finance
POST   /desk/books                                            finance
GET    /desk/books/{day}                                      finance
POST   /desk/books/differences/{difference_id}                finance.here
GET    /desk/books/{day}/worklist.csv                         finance
GET    /desk/books/{day}/rows.csv                             finance
GET    /desk/books/{day}/books.xlsx                           finance
# kiosks
GET    /kiosk                                                 anyone
POST   /kiosk/setup                                           anyone
POST   /kiosk                                                 kiosk
POST   /kiosk/code                                            kiosk
POST   /kiosk/quit                                            kiosk
"""
