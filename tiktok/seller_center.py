"""TikTok's pages for sellers: Seller Center, a host for each country."""

HOSTS = {"US": "https://seller-us.tiktok.com", "GB": "https://seller-uk.tiktok.com"}
ELSEWHERE = "https://seller.tiktokglobalshop.com"  # leads on to the seller's own country


def home(region: str) -> str:
    return HOSTS.get(region, ELSEWHERE)


def order_page(region: str, order_id: str) -> str:
    return f"{home(region)}/order/detail?order_no={order_id}"
