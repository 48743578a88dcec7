"""The permissions that our calls need: TikTok's word in the answer that brings tokens, and the name that a seller reads
when he agrees (TikTok contract 1.2). Left out is Write External Order References, whose word is not published.
"""

NEEDED = {
    "seller.authorization.info": "Shop Authorized Information",
    "seller.order.info": "Order Information",
    "seller.fulfillment.basic": "Fulfillment Basic",
    "seller.logistics": "Logistics Basic",
    "seller.return_refund.basic": "Return & Refund Basic",
    "seller.product.basic": "Product Basic",
}
