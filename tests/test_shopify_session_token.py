import time

import jwt
import pytest

from shopify_app.auth import InvalidToken, verify_session_token
from tests.shopify_script import DOMAIN, example


def make_token(settings, *, secret=None, algorithm="HS256", without=(), **changes):
    now = int(time.time())
    claims = {
        "iss": f"https://{DOMAIN}/admin",
        "dest": f"https://{DOMAIN}",
        "aud": settings.SHOPIFY_API_KEY,
        "sub": "42",
        "exp": now + 60,
        "nbf": now,
        "iat": now,
        "jti": "1",
        "sid": "2",
    } | changes
    for name in without:
        del claims[name]
    return jwt.encode(claims, secret or settings.SHOPIFY_API_SECRET, algorithm=algorithm)


def test_a_good_token_names_the_shop_and_the_user(settings):
    session = verify_session_token(make_token(settings))
    assert (session.shop, session.user) == (DOMAIN, "42")
    assert 50 < session.expires.timestamp() - time.time() <= 60


def test_a_token_signed_with_the_old_secret_still_counts(settings):
    token = make_token(settings, secret=settings.SHOPIFY_API_SECRET_OLD)
    assert verify_session_token(token).shop == DOMAIN


def test_the_old_secret_counts_only_while_it_is_configured(settings):
    token = make_token(settings, secret=settings.SHOPIFY_API_SECRET_OLD)
    settings.SHOPIFY_API_SECRET_OLD = ""
    with pytest.raises(InvalidToken):
        verify_session_token(token)


def test_without_any_secret_nothing_is_a_token(settings):
    token = make_token(settings)
    settings.SHOPIFY_API_SECRET = settings.SHOPIFY_API_SECRET_OLD = ""
    with pytest.raises(InvalidToken):
        verify_session_token(token)


def test_ten_seconds_of_clock_difference_are_forgiven_and_no_more(settings):
    now = int(time.time())
    assert verify_session_token(make_token(settings, nbf=now + 8, iat=now + 8))
    assert verify_session_token(make_token(settings, exp=now - 8))
    for claims in ({"nbf": now + 14}, {"exp": now - 12}):
        with pytest.raises(InvalidToken):
            verify_session_token(make_token(settings, **claims))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 15},
        {"nbf": int(time.time()) + 86_400},
        {"aud": "another-app"},
        {"dest": "https://another-store.myshopify.com"},
        {"iss": "https://evil.example.com/admin", "dest": "https://evil.example.com"},
        {"iss": f"https://{DOMAIN}.evil.com/admin", "dest": f"https://{DOMAIN}.evil.com"},
        {"iss": f"https://x@{DOMAIN}/admin", "dest": f"https://x@{DOMAIN}"},
        {"iss": f"http://{DOMAIN}/admin", "dest": f"http://{DOMAIN}"},
        {"iss": f"https://{DOMAIN}/admin", "dest": f"https://{DOMAIN}:444"},
        {"dest": None},
        {"sub": 42},
        {"aud": ""},
        {"without": ["exp"]},
        {"without": ["nbf"]},
        {"without": ["aud"]},
        {"without": ["sub"]},
        {"without": ["iss"]},
        {"without": ["dest"]},
        {"secret": "somebody-elses-secret-0123456789-0123"},
    ],
    ids=",".join,  # the names of what differs: values with the time of day would differ between workers
)
def test_a_token_that_proves_nothing_is_refused(settings, changes):
    with pytest.raises(InvalidToken):
        verify_session_token(make_token(settings, **changes))


def test_only_the_pinned_algorithm_is_accepted(settings):
    long_secret = settings.SHOPIFY_API_SECRET = "x" * 64
    with pytest.raises(InvalidToken):
        verify_session_token(make_token(settings, secret=long_secret, algorithm="HS512"))
    unsigned = jwt.encode({"aud": settings.SHOPIFY_API_KEY}, None, algorithm="none")
    with pytest.raises(InvalidToken):
        verify_session_token(unsigned)


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_what_is_no_token_is_refused(token):
    with pytest.raises(InvalidToken):
        verify_session_token(token)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # the vector's secret is short
def test_the_golden_token_fails_for_its_age_only(settings):
    vector = example("vectors")["session_token"]
    settings.SHOPIFY_API_KEY = vector["claims"]["aud"]
    settings.SHOPIFY_API_SECRET = vector["secret"]
    settings.SHOPIFY_API_SECRET_OLD = ""
    with pytest.raises(InvalidToken, match="expired"):
        verify_session_token(vector["token"])
    settings.SHOPIFY_API_SECRET = "another-secret-0123456789-0123456789"
    with pytest.raises(InvalidToken, match="Signature verification failed"):
        verify_session_token(vector["token"])
