"""What support, ops and finance meet with bookings and their money, each at least once, told as it happened."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import cycle

from sqlalchemy import select

from admin_app.demo.clock import Stage
from admin_app.demo.desk import Desk
from admin_app.demo.diary import Diary
from admin_app.demo.purchases import Script
from models import BookingStatus, Meeting, Role

Act = Callable[[datetime, str], None]
HELD_NOW = 4
FULL, DEAR = 9_500, 32_000


class Story:
    """One booking; what it is called is known once it is made."""

    def __init__(self, made_at: datetime, starts_at: datetime) -> None:
        self.made_at = made_at
        self.starts_at = starts_at
        self.subject = ""


class Stories:
    """Notes every story down in the script; `end_with_holds` adds what is still going on."""

    def __init__(self, stage: Stage, script: Script, diary: Diary, desk: Desk) -> None:
        self.stage = stage
        self.script = script
        self.diary = diary
        self.desk = desk
        self.invention = stage.invention("clients_of_the_desk")
        active = sorted(diary.types)[:-1]
        self._practitioners = cycle(active)
        self._dear = cycle(sorted(diary.dear))

    def note_all(self) -> None:
        self._took_place()
        self._moved()
        self._called_off()
        self._large_refunds()
        self._refunds_that_wait()
        self._disputes()
        self._never_paid()
        self._paid_too_late()
        self._meetings()

    def end_with_holds(self) -> None:
        """People who are on Stripe's page right now."""
        for number in range(HELD_NOW):
            moment = self.stage.ctx.now - timedelta(minutes=2 + 3 * number)
            self._book(self._begin_at(moment, 2 + number))

    # -- stories -----------------------------------------------------------------------------------------------

    def _took_place(self) -> None:
        for days, reason in (
            (3, "Came on time."),
            (6, "Dr. Solheim confirmed it by phone."),
            (9, "Came late, stayed on."),
        ):
            story = self._paid(days + 8, -days)
            self._then(story, story.starts_at + timedelta(hours=2), self._completes(reason))
        first, second = self._paid(15, -4), self._paid(17, -7)
        for story in (first, second):
            self._then(
                story,
                story.starts_at + timedelta(hours=1),
                lambda at, subject: self.desk.no_show(at, subject, Role.OPS, "Waited 20 minutes, no answer by phone."),
            )
        self._then(
            second,
            second.starts_at + timedelta(days=1),
            lambda at, subject: self.desk.refund(
                at,
                subject,
                Role.SUPPORT,
                amount=FULL // 2,
                reason_code="other",
                note="Was in hospital that day, half as goodwill.",
            ),
        )

    def _moved(self) -> None:
        for days, new_days in ((5, 12), (8, 15)):
            story, practitioner = self._paid_with(9, days)
            new = self.diary.take_free(new_days, practitioner)
            self._then(story, story.made_at + timedelta(days=2), self._moves(new))
        again = self._paid(6, 7)
        self._then(
            again,
            again.made_at + timedelta(days=1),
            lambda at, subject: self.desk.resend(at, subject, Role.SUPPORT, "Deleted the mail by mistake."),
        )

    def _called_off(self) -> None:
        cancel = self.desk.cancel
        late, ill, back, half = self._paid(12, 3), self._paid(10, 4), self._paid(20, 6), self._paid(9, 8)
        self._then(
            late,
            self.stage.ago(days=1.1),
            lambda at, subject: cancel(
                at, subject, Role.SUPPORT, because="by_client", reason="Called off too late for money back."
            ),
        )
        self._then(
            half,
            self.stage.ago(days=2.3),
            lambda at, subject: cancel(
                at,
                subject,
                Role.SUPPORT,
                because="by_client",
                reason="Two days before: half goes back.",
                refund=FULL // 2,
            ),
        )
        self._then(
            ill,
            self.stage.ago(days=0.3),
            lambda at, subject: cancel(
                at,
                subject,
                Role.SUPPORT,
                because="by_practitioner",
                reason="The practitioner is ill.",
                refund=FULL,
                answer="pending",
            ),
        )
        self._then(
            back,
            self.stage.ago(days=8),
            lambda at, subject: cancel(
                at, subject, Role.SUPPORT, because="by_staff", reason="Double room booking on our side.", refund=FULL
            ),
        )
        self._then(back, self.stage.ago(days=4), self.desk.bank_sends_back)

    def _large_refunds(self) -> None:
        """Above the limit a second person decides: two wait, one of them for somebody else than finance."""
        asked = self._asks_for_all
        waiting, own, approved, declined = (self._paid(14, 9 + number, dear=True) for number in range(4))
        self._then(waiting, self.stage.ago(days=0.2), asked(Role.SUPPORT, "Moves abroad, sent the contract."))
        self._then(own, self.stage.ago(days=0.6), asked(Role.FINANCE, "Paid by the employer as well."))
        self._then(approved, self.stage.ago(days=5), asked(Role.SUPPORT, "Doctor's note attached in the mail."))
        self._then(
            approved,
            self.stage.ago(days=4.8),
            lambda at, subject: self.desk.decide(
                at, subject, Role.FINANCE, approve=True, reason="The note is in order."
            ),
        )
        self._then(declined, self.stage.ago(days=3), asked(Role.SUPPORT, "Found it cheaper elsewhere."))
        self._then(
            declined,
            self.stage.ago(days=2.9),
            lambda at, subject: self.desk.decide(
                at, subject, Role.FINANCE, approve=False, reason="No reason for all of it; offer another date."
            ),
        )

    def _refunds_that_wait(self) -> None:
        """One left and nobody was told what became of it."""
        story = self._paid(7, -1)
        self._then(
            story,
            self.stage.ago(minutes=4),
            lambda at, subject: self.desk.refund(
                at,
                subject,
                Role.SUPPORT,
                amount=2_500,
                reason_code="requested_by_customer",
                note="Began 20 minutes late.",
                answer="unknown",
            ),
        )

    def _disputes(self) -> None:
        for made, told, reason, days in ((30, 3, "product_not_received", 9), (26, 1, "credit_not_processed", 14)):
            story = self._paid(made, -made + 6)
            self._then(story, story.starts_at + timedelta(hours=2), self._completes("Came, as the notes say."))
            self._then(story, self.stage.ago(days=told), self._disputes_it(reason, days))
        for made, status in ((90, "won"), (75, "lost")):
            story = self._paid(made, -made + 5)
            self._then(story, story.starts_at + timedelta(hours=3), self._completes("Came on time."))
            self._then(story, self.stage.ago(days=made - 20), self._disputes_it("fraudulent", 10))
            self._then(story, self.stage.ago(days=made - 45), self._decides(status))

    def _never_paid(self) -> None:
        story = self._begin(1.2, 5)
        self._then(story, story.made_at + timedelta(minutes=31), self.desk.let_lapse)
        promised = self._begin(0.8, 6)
        self._then(promised, promised.made_at + timedelta(minutes=5), self.desk.promise)
        broken = self._begin(6, 7)
        self._then(broken, broken.made_at + timedelta(minutes=5), self.desk.promise)
        self._then(broken, self.stage.ago(days=2), self.desk.break_promise)

    def _paid_too_late(self) -> None:
        """The hold had lapsed and the time was sold to somebody else: the money goes back by itself."""
        slow = self._begin(3, 6)
        practitioner = self._last
        quick = Story(slow.made_at + timedelta(minutes=33), slow.starts_at)
        self._then(slow, slow.made_at + timedelta(minutes=30), lambda _at, subject: self.desk.pay_unheard(subject))
        self.script.note(quick.made_at, lambda: self._book(quick, practitioner))
        self._then(quick, quick.made_at + timedelta(minutes=4), self.desk.pay)

    def _meetings(self) -> None:
        at = self.stage.ago(days=1.4)
        self.script.note(at, lambda: self._call_off_a_meeting(at))

    def _call_off_a_meeting(self, at: datetime) -> None:
        coming = select(Meeting.id).where(
            Meeting.status == BookingStatus.CONFIRMED,
            Meeting.starts_at > self.stage.today + timedelta(days=2),
            Meeting.guest_email.is_not(None),
        )
        number = self.stage.ctx.session.scalars(coming.order_by(Meeting.starts_at).limit(1)).first()
        if number is not None:
            reason = "Wrote that she cannot come."
            self.desk.cancel(at, f"meeting:{number}", Role.OPS, because="by_client", reason=reason)

    # -- their parts -------------------------------------------------------------------------------------------

    def _begin(self, days_ago: float, starts_in: float, *, dear: bool = False) -> Story:
        """Somebody books; what follows is noted by the caller."""
        story = self._begin_at(self.stage.ago(days=days_ago), starts_in, dear=dear)
        practitioner = self._last
        self.script.note(story.made_at, lambda: self._book(story, practitioner, dear=dear))
        return story

    def _begin_at(self, moment: datetime, starts_in: float, *, dear: bool = False) -> Story:
        self._last = next(self._dear if dear else self._practitioners)
        return Story(moment, self.diary.take_free(starts_in, self._last))

    def _book(self, story: Story, practitioner: int | None = None, *, dear: bool = False) -> None:
        key = practitioner or self._last
        session_type = self.diary.dear[key] if dear else self.diary.types[key][0][0]
        zone = self.diary.zones[key].key
        person = self.invention.person()
        story.subject = self.desk.book(story.made_at, person, key, session_type, story.starts_at, zone)

    def _paid(self, days_ago: float, starts_in: float, *, dear: bool = False) -> Story:
        story = self._begin(days_ago, starts_in, dear=dear)
        self._then(story, story.made_at + timedelta(minutes=4), self.desk.pay)
        return story

    def _paid_with(self, days_ago: float, starts_in: float) -> tuple[Story, int]:
        return self._paid(days_ago, starts_in), self._last

    def _then(self, story: Story, moment: datetime, act: Act) -> None:
        self.script.note(moment, lambda: act(moment, story.subject))

    def _completes(self, reason: str) -> Act:
        return lambda at, subject: self.desk.complete(at, subject, Role.SUPPORT, reason)

    def _asks_for_all(self, role: Role, note: str) -> Act:
        return lambda at, subject: self.desk.refund(
            at, subject, role, amount=DEAR, reason_code="requested_by_customer", note=note
        )

    def _moves(self, new: datetime) -> Act:
        reason = "Asked by phone for a later day."
        return lambda at, subject: self.desk.reschedule(at, subject, Role.OPS, new, reason)

    def _disputes_it(self, reason: str, days: int) -> Act:
        return lambda at, subject: self.desk.dispute(at, subject, reason=reason, days=days)

    def _decides(self, status: str) -> Act:
        return lambda at, subject: self.desk.decide_dispute(at, subject, status)
